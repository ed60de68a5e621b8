module.exports={name:'bench',arguments:[],options:{},summary:'x',description:[],examples:[]}
