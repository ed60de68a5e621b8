module.exports={name:'watch',arguments:[],options:{},summary:'x',description:[],examples:[]}
