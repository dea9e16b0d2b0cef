"""Writes the files of this folder: the same tensors in many layouts (torch, numpy), and malformed ones. Needs torch, numpy, safetensors."""
import io, os, pickle, struct, zipfile
import numpy as np
import torch
from collections import OrderedDict
from safetensors.torch import save_file
out=os.path.dirname(os.path.abspath(__file__))+'/'
torch.manual_seed(1)
base=torch.randn(4,6)
d=OrderedDict()
d['plain']=torch.nn.Parameter(base[:3,:4].contiguous().clone())
d['turned']=base.t()
d['part']=base[1:3,2:5]
d['alias']=base
d['spread']=torch.arange(3.).unsqueeze(0).expand(2,3)
d['scalar']=torch.tensor(2.5)
d['empty']=torch.zeros(0,3)
d['half']=torch.randn(3).half()
d['bfloat']=torch.randn(5).bfloat16()
d['double']=torch.randn(2,2).double()
d['long']=torch.tensor([1,-2,2**40])
d['int']=torch.tensor([[7,-8]],dtype=torch.int32)
d['short']=torch.tensor([300,-300],dtype=torch.int16)
d['char']=torch.tensor([-1,5],dtype=torch.int8)
d['byte']=torch.tensor([200,5],dtype=torch.uint8)
d['bool']=torch.tensor([True,False,True])
d['complex']=torch.tensor([1+2j,3-4j],dtype=torch.complex64)
flat={k:v.detach().contiguous().clone() for k,v in d.items()}
inner=OrderedDict(weight=torch.ones(2)); 
full=dict(d); full['layers']={'0':inner}; full['epoch']=3; full['rate']=0.1; full['note']='text'; full['shape']=torch.Size([2,3]); full['steps']=[1,2,(3,)]
flat['layers.0.weight']=torch.ones(2)
save_file(flat,out+'expected.safetensors')
torch.save(full,out+'zip.pt')
torch.save(full,out+'legacy.pt',_use_new_zipfile_serialization=False)
torch.save(d,out+'ordered.pt')
for proto in (3,4,5):
    torch.save({'plain':d['plain'],'long':d['long']},out+'protocol-%d.pt'%proto,pickle_protocol=proto)
# deflated, and big-endian
z=zipfile.ZipFile(out+'zip.pt')
widths={}
def rezip(path, method, big):
    w=zipfile.ZipFile(path,'w',method)
    for n in z.namelist():
        b=z.read(n)
        zi=zipfile.ZipInfo(n,date_time=(2020,1,1,0,0,0)); zi.compress_type=method
        if big and n.endswith('byteorder'): b=b'big'
        if big and '/data/' in n:
            b=np.frombuffer(b,dtype=np.uint8).reshape(-1,keyw[n.split('/')[-1]])[:,::-1].tobytes()
        w.writestr(zi,b)
    w.close()
# widths by unpickling the ids
keyw={}
class U(pickle.Unpickler):
    def persistent_load(self,i):
        t=i[1]; k=i[2]
        keyw[k]={'FloatStorage':4,'DoubleStorage':8,'HalfStorage':2,'BFloat16Storage':2,'LongStorage':8,'IntStorage':4,'ShortStorage':2,'CharStorage':1,'ByteStorage':1,'BoolStorage':1,'ComplexFloatStorage':4}[t.__name__]
        return torch.UntypedStorage(0)
    def find_class(self,m,n):
        if n.startswith('_rebuild'): return lambda *a: None
        return super().find_class(m,n)
U(io.BytesIO(z.read([n for n in z.namelist() if n.endswith('data.pkl')][0]))).load()
rezip(out+'deflated.pt',zipfile.ZIP_DEFLATED,False)
rezip(out+'big-endian.pt',zipfile.ZIP_STORED,True)
# npz
n={k:v.numpy() for k,v in flat.items() if k!='bfloat'}
np.savez(out+'stored.npz',**n)
np.savez_compressed(out+'deflated.npz',**n)
m={k:(np.asfortranarray(v) if v.ndim>1 else v).astype(v.dtype.newbyteorder('>')) for k,v in n.items()}
m={k:(np.asfortranarray(v) if v.ndim>1 else v) for k,v in m.items()}
np.savez(out+'big-endian.npz',**m)
# malformed
mal=out+'malformed/'
class Evil:
    def __init__(s,f,a): s.f=f; s.a=a
    def __reduce__(s): return (s.f,s.a)
def legacy(obj,name,proto=2):
    b=io.BytesIO()
    pickle.dump(0x1950a86a20f9469cfc6c,b,2); pickle.dump(1001,b,2); pickle.dump(dict(protocol_version=1001,little_endian=True,type_sizes=dict(short=2,int=4,long=4)),b,2)
    b.write(obj if isinstance(obj,bytes) else pickle.dumps(obj,proto)); pickle.dump([],b,2)
    open(mal+name,'wb').write(b.getvalue())
legacy({'a':Evil(os.system,('echo no',))},'system.pt')
legacy({'a':Evil(eval,('1',))},'eval.pt',4)
legacy({'a':Evil(torch.storage._load_from_bytes,(b'x',))},'load-from-bytes.pt')
legacy({'a':Evil(getattr,({},'x'))},'getattr.pt')
legacy(b'\x80\x02}q\x00X\x01\x00\x00\x00aK\x01K\x02R.','call-of-number.pt')
legacy(b'\x80\x02cos\nsystem\nq\x00.','name-alone.pt')
legacy(b'\x80\x02](h\x07.','memo-empty.pt')
legacy(b'\x80\x02K\x01r\xff\xff\xff\x7f.','memo-far.pt')
legacy(b'\x80\x02}(K\x01u.','odd-items.pt')
legacy(b'\x80\x02ccollections\nOrderedDict\n)\x81.','newobj.pt')
legacy(b'\x80\x02i','cut.pt')
legacy(b'\x80\x00}.','protocol-0.pt')
legacy(b'\x80\x02]q\x00h\x00a.','list-in-itself.pt')
legacy(b'\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.','dict-in-itself.pt')
legacy(b'\x80\x02X\xff\xff\xff\x7fabc.','long-text.pt')
def view(first,size,stride,count=4,data=None):
    # legacy file with one storage of `count` floats
    class S: pass
    b=io.BytesIO()
    pickle.dump(0x1950a86a20f9469cfc6c,b,2); pickle.dump(1001,b,2); pickle.dump(dict(protocol_version=1001,little_endian=True),b,2)
    def num(i): return pickle.dumps(i,2)[2:-1]
    tup=lambda t: b'('+b''.join(num(x) for x in t)+b't'
    pid=b'(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu'+num(count)+b'NtQ'
    b.write(b'\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n('+pid+num(first)+tup(size)+tup(stride)+b'\x89ccollections\nOrderedDict\n)RtRs.')
    pickle.dump(['0'],b,2)
    b.write(struct.pack('<q',count)+(data if data is not None else b'\0'*16))
    return b.getvalue()
for name,a in dict(beyond=(0,(5,),(1,)),first=(5,(1,),(1,)),stride=(0,(2,),(9,)),overflow=(0,(2**31,2**31,2**31),(1,1,1)),strideoverflow=(0,(2,2),(2**62,2**62)),negative=(0,(-1,),(1,)),spread=(0,(2**20,2**20),(0,0)),count=(0,(4,),(1,),2**61)).items():
    open(mal+'view-%s.pt'%name,'wb').write(view(*a))
open(mal+'storage-cut.pt','wb').write(view(0,(4,),(1,),4,b'\0'*15))
open(mal+'storage-long.pt','wb').write(view(0,(4,),(1,),4,b'\0'*17))
zb=open(out+'protocol-4.pt','rb').read()
open(mal+'zip-cut.pt','wb').write(zb[:len(zb)//2])
open(mal+'zip-no-end.pt','wb').write(zb[:-10])
w=zipfile.ZipFile(mal+'zip-no-storage.pt','w'); zz=zipfile.ZipFile(out+'protocol-4.pt')
for x in zz.namelist():
    if not x.endswith('/data/0'): w.writestr(zipfile.ZipInfo(x),zz.read(x))
w.close()
db=bytearray(open(out+'deflated.npz','rb').read()); db[60]^=0xff
open(mal+'deflate-damaged.npz','wb').write(db)
w=zipfile.ZipFile(mal+'object.npz','w'); bb=io.BytesIO(); np.save(bb,np.array([{}],dtype=object),allow_pickle=True); w.writestr(zipfile.ZipInfo('a.npy'),bb.getvalue()); w.close()
w=zipfile.ZipFile(mal+'twice.npz','w'); bb=io.BytesIO(); np.save(bb,np.ones(2)); w.writestr(zipfile.ZipInfo('a.npy'),bb.getvalue()); w.writestr(zipfile.ZipInfo('a.npy'),bb.getvalue()); w.close()
w=zipfile.ZipFile(mal+'text.npz','w'); w.writestr(zipfile.ZipInfo('a.npy'),bb.getvalue()); w.writestr(zipfile.ZipInfo('a.txt'),b'x'); w.close()
